export {};
//# sourceMappingURL=seen.js.map