export { readDescriptorSet } from './descriptors.ts'
export { type HttpRule, type HttpVerb, readHttpRules } from './http-rules.ts'
