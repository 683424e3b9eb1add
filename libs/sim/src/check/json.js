/** Private events and facts of the runtime as JSON: parsed when somebody asks, never trusted. */
/** A JSON object with typed access; what is missing reads as empty, 0 or false. */
export class JsonSeen {
    #fields;
    constructor(value) {
        this.#fields = typeof value === 'object' && value !== null ? { ...value } : {};
    }
    static parse(text) {
        return new JsonSeen(JSON.parse(text));
    }
    text(name) {
        const value = this.#fields[name];
        return typeof value === 'string' ? value : '';
    }
    number(name) {
        const value = this.#fields[name];
        return typeof value === 'number' ? value : 0;
    }
    flag(name) {
        return this.#fields[name] === true;
    }
    has(name) {
        return this.#fields[name] !== undefined;
    }
    inner(name) {
        return new JsonSeen(this.#fields[name]);
    }
}
//# sourceMappingURL=json.js.map