/**
 * Records of a service's log as they stand in it, read field by field
 * (`serverlessai.log.v1`, see proto/serverlessai/log/v1/record.proto).
 */
import { JsonSeen } from './json.ts';
/** A claim. */
export interface ClaimRecord {
    readonly is: 'claim';
    readonly epoch: number;
    /** Hex. */
    readonly claimId: string;
    readonly replica: string;
}
/** A private event, or a fact of the runtime. */
export declare class Entry {
    #private;
    readonly type: string;
    constructor(type: string, at: {
        buffer: Buffer;
        from: number;
        to: number;
    });
    /** Its content. */
    get json(): JsonSeen;
}
/** A released answer. */
export interface AnswerRecord {
    readonly requestId: string;
    readonly outcome: Entry;
}
/** A public event as it stands in its commit. */
export interface PublicRecord {
    readonly seq: number;
    readonly type: string;
    readonly key: string;
    readonly tenant: string;
    readonly payload: Buffer;
}
/** A mark of a consumed source. */
export interface MarkRecord {
    readonly source: string;
    readonly seq: number;
}
/** A commit. */
export interface CommitRecord {
    readonly is: 'commit';
    readonly epoch: number;
    readonly sequence: number;
    readonly prev: Buffer;
    readonly kind: 'normal' | 'tick' | 'yield';
    readonly atMs: number;
    readonly marks: readonly MarkRecord[];
    readonly answers: readonly AnswerRecord[];
    readonly events: readonly Entry[];
    readonly publics: readonly PublicRecord[];
    readonly runtime: readonly Entry[];
}
/** An administrator's void. */
export interface VoidRecord {
    readonly is: 'void';
}
export type LogRecordSeen = ClaimRecord | CommitRecord | VoidRecord;
/** Record of the bytes. Throws WireError when they are none. */
export declare function readRecord(bytes: Uint8Array): LogRecordSeen;
//# sourceMappingURL=record.d.ts.map