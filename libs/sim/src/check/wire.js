/** Walks the fields of a protobuf message in place: nothing is decoded that nobody looks at. */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
/** Bytes that are no protobuf message. */
export class WireError extends Error {
    name = 'WireError';
}
/** A view for reading texts, without a copy. */
export const bufferOf = (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
/** Cursor over the fields of one message. */
export class Fields {
    buffer;
    /** Number of the present field. */
    field = 0;
    /** Value of a varint; up to 2^53. */
    value = 0;
    /** Bounds of a text, of bytes or of an inner message. */
    from = 0;
    to = 0;
    #at;
    #end;
    constructor(buffer, from = 0, to = buffer.length) {
        this.buffer = buffer;
        this.#at = from;
        this.#end = to;
    }
    /** Moves to the next field; false at the end. Throws {@link WireError}. */
    next() {
        if (this.#at >= this.#end)
            return false;
        const tag = this.#varint();
        this.field = tag >>> 3;
        this.value = 0;
        this.from = this.#at;
        this.to = this.#at;
        switch (tag & 7) {
            case VARINT:
                this.value = this.#varint();
                break;
            case BYTES: {
                const length = this.#varint();
                this.from = this.#at;
                this.to = this.#at + length;
                this.#at = this.to;
                break;
            }
            case FIXED64:
                this.#at += 8;
                break;
            case FIXED32:
                this.#at += 4;
                break;
            default:
                throw new WireError(`wire type ${tag & 7} at byte ${this.#at}`);
        }
        if (this.#at > this.#end)
            throw new WireError(`a field ends behind byte ${this.#end}`);
        return true;
    }
    text() {
        return this.buffer.toString('utf8', this.from, this.to);
    }
    bytes() {
        return this.buffer.subarray(this.from, this.to);
    }
    inner() {
        return new Fields(this.buffer, this.from, this.to);
    }
    #varint() {
        let value = 0;
        let weight = 1;
        for (let n = 0; n < 10; n += 1) {
            if (this.#at >= this.#end)
                break;
            const byte = this.buffer[this.#at];
            this.#at += 1;
            value += (byte & 0x7f) * weight;
            if (byte < 0x80)
                return value;
            weight *= 128;
        }
        throw new WireError(`a number does not end before byte ${this.#end}`);
    }
}
//# sourceMappingURL=wire.js.map