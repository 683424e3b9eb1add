export { loadModel, type Model, ModelError, predict } from './model.ts'
export { createPredictServer, type PredictServer } from './server.ts'
