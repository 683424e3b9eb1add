/**
 * Records of a service's log as they stand in it, read field by field
 * (`serverlessai.log.v1`, see proto/serverlessai/log/v1/record.proto).
 */
import { JsonSeen } from './json.js';
import { bufferOf, Fields, WireError } from './wire.js';
/** A private event, or a fact of the runtime. */
export class Entry {
    type;
    #buffer;
    #from;
    #to;
    #json;
    constructor(type, at) {
        this.type = type;
        this.#buffer = at.buffer;
        this.#from = at.from;
        this.#to = at.to;
    }
    /** Its content. */
    get json() {
        this.#json ??= JsonSeen.parse(this.#buffer.toString('utf8', this.#from, this.#to));
        return this.#json;
    }
}
const KINDS = { 1: 'normal', 2: 'tick', 3: 'yield' };
/** Record of the bytes. Throws WireError when they are none. */
export function readRecord(bytes) {
    const fields = new Fields(bufferOf(bytes));
    let record;
    while (fields.next()) {
        if (fields.field === 1)
            record = readClaim(fields.inner());
        else if (fields.field === 2)
            record = readCommit(fields.inner());
        else if (fields.field === 3)
            record = { is: 'void' };
    }
    if (record === undefined)
        throw new WireError('neither claim, commit nor void');
    return record;
}
function readClaim(fields) {
    let epoch = 0;
    let claimId = '';
    let replica = '';
    while (fields.next()) {
        if (fields.field === 1)
            epoch = fields.value;
        else if (fields.field === 2)
            claimId = fields.bytes().toString('hex');
        else if (fields.field === 3)
            replica = fields.text();
    }
    return { is: 'claim', epoch, claimId, replica };
}
function readCommit(fields) {
    let epoch = 0;
    let sequence = 0;
    let prev = fields.buffer.subarray(0, 0);
    let kind = 'normal';
    let atMs = 0;
    const marks = [];
    const answers = [];
    const events = [];
    const publics = [];
    const runtime = [];
    while (fields.next()) {
        switch (fields.field) {
            case 2:
                epoch = fields.value;
                break;
            case 3:
                sequence = fields.value;
                break;
            case 4:
                prev = fields.bytes();
                break;
            case 5:
                kind = KINDS[fields.value] ?? 'normal';
                break;
            case 6:
                atMs = fields.value;
                break;
            case 7:
                marks.push(readMark(fields.inner()));
                break;
            case 8:
                answers.push(readAnswer(fields.inner()));
                break;
            case 9:
                events.push(readEntry(fields.inner(), 3));
                break;
            case 10:
                publics.push(readPublic(fields.inner()));
                break;
            case 11:
                runtime.push(readEntry(fields.inner(), 2));
                break;
        }
    }
    return {
        is: 'commit',
        ...{ epoch, sequence, prev, kind, atMs },
        ...{ marks, answers, events, publics, runtime },
    };
}
function readMark(fields) {
    let source = '';
    let seq = 0;
    while (fields.next()) {
        if (fields.field === 1)
            source = fields.text();
        else if (fields.field === 3)
            seq = fields.value;
    }
    return { source, seq };
}
function readAnswer(fields) {
    let requestId = '';
    const at = { buffer: fields.buffer, from: 0, to: 0 };
    while (fields.next()) {
        if (fields.field === 1)
            requestId = fields.text();
        else if (fields.field === 3)
            Object.assign(at, { from: fields.from, to: fields.to });
    }
    return { requestId, outcome: new Entry('answer', at) };
}
/** `dataField`: number of the field that holds the JSON. */
function readEntry(fields, dataField) {
    let type = '';
    const at = { buffer: fields.buffer, from: 0, to: 0 };
    while (fields.next()) {
        if (fields.field === 1) {
            type = fields.text();
        }
        else if (fields.field === dataField) {
            at.from = fields.from;
            at.to = fields.to;
        }
    }
    return new Entry(type, at);
}
function readPublic(fields) {
    let seq = 0;
    let type = '';
    let key = '';
    let tenant = '';
    let payload = fields.buffer.subarray(0, 0);
    while (fields.next()) {
        if (fields.field === 1)
            seq = fields.value;
        else if (fields.field === 2)
            type = fields.text();
        else if (fields.field === 3)
            key = fields.text();
        else if (fields.field === 4)
            tenant = fields.text();
        else if (fields.field === 5)
            payload = fields.bytes();
    }
    return { seq, type, key, tenant, payload };
}
//# sourceMappingURL=record.js.map