export { commandOf, QUIET_SCRIPT, type TaskScript } from '@serverless-ai/sim/plane'
export { ServerlessAiTwin, ServerlessAiVirtualTwin, StartedServerlessAiTwin } from './twin.ts'
export { StartedVirtualTwin } from './virtual.ts'
