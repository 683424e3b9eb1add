export { ServerlessAiTwin, StartedServerlessAiTwin } from './twin.ts'
