import { type Commit } from '@serverless-ai/eventlog';
import type { Alarm, Observation } from '../types.ts';
/** A private event or a fact of the runtime. */
export type Fact = {
    readonly type: string;
} & Readonly<Record<string, unknown>>;
/** A public event to be committed. */
export interface PublicDraft {
    readonly type: string;
    readonly key: string;
    readonly payload: Uint8Array;
}
/** Content of a commit. */
export interface CommitDraft {
    readonly kind?: 'normal' | 'tick' | 'yield';
    readonly events?: readonly Fact[];
    readonly publics?: readonly PublicDraft[];
    readonly runtime?: readonly Fact[];
    readonly answers?: readonly {
        readonly requestId: string;
        readonly outcome: unknown;
    }[];
    readonly marks?: Readonly<Record<string, number>>;
    readonly atMs?: number;
    /** What a correct writer would not do. */
    readonly change?: (commit: Commit) => Commit;
}
interface Log {
    epoch: number;
    sequence: number;
    chain: Uint8Array;
    end: number;
    topicEnd: number;
    publicSeq: number;
    readonly unpublished: (PublicDraft & {
        readonly seq: number;
        readonly atMs: number;
    })[];
    last: Uint8Array;
}
/** Checkers and the logs they look at. */
export declare class Logs {
    #private;
    readonly alarms: Alarm[];
    nowMs: number;
    /** Names of the checkers that have raised an alarm, each once. */
    get caught(): string[];
    observe(observation: Observation): void;
    log(service: string): Log;
    /** Bytes as the next record of a service's log. */
    land(service: string, value: Uint8Array): number;
    /** An effective claim of the next epoch (or of `epoch`). */
    claim(service: string, more?: {
        epoch?: number;
        claimId?: string;
    }): number;
    /** The next effective commit of a service; claims the first epoch by itself. */
    commit(service: string, draft: CommitDraft): number;
    /** Publishes what is waiting. */
    publish(service: string): void;
    publishOne(service: string, event: PublicDraft & {
        readonly seq: number;
        readonly atMs: number;
    }): void;
}
export {};
//# sourceMappingURL=logs.d.ts.map