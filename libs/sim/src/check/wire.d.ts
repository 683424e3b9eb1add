/** Walks the fields of a protobuf message in place: nothing is decoded that nobody looks at. */
/** Bytes that are no protobuf message. */
export declare class WireError extends Error {
    readonly name = "WireError";
}
/** A view for reading texts, without a copy. */
export declare const bufferOf: (bytes: Uint8Array) => Buffer;
/** Cursor over the fields of one message. */
export declare class Fields {
    #private;
    readonly buffer: Buffer;
    /** Number of the present field. */
    field: number;
    /** Value of a varint; up to 2^53. */
    value: number;
    /** Bounds of a text, of bytes or of an inner message. */
    from: number;
    to: number;
    constructor(buffer: Buffer, from?: number, to?: number);
    /** Moves to the next field; false at the end. Throws {@link WireError}. */
    next(): boolean;
    text(): string;
    bytes(): Buffer;
    inner(): Fields;
}
//# sourceMappingURL=wire.d.ts.map