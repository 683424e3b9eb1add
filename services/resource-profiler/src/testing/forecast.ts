export { DISTANCES, type Quality, type Told, Walk } from '../core/load/walk.ts'
