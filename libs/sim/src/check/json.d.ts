/** Private events and facts of the runtime as JSON: parsed when somebody asks, never trusted. */
/** A JSON object with typed access; what is missing reads as empty, 0 or false. */
export declare class JsonSeen {
    #private;
    constructor(value: unknown);
    static parse(text: string): JsonSeen;
    text(name: string): string;
    number(name: string): number;
    flag(name: string): boolean;
    has(name: string): boolean;
    inner(name: string): JsonSeen;
}
//# sourceMappingURL=json.d.ts.map