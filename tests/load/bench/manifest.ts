import { jobManifest } from '../../support/manifest.ts'

/** A description like no other: nothing is gained by remembering texts. */
export function benchManifest(init: {
  readonly queue: string
  readonly tasks: number
  readonly number: number
}): string {
  const { queue, tasks, number } = init
  const resources = { devices: 1, cpu: '100m', memory: '128Mi' }
  return jobManifest(`bench-${tasks}-${number}`, { queue, tasks, resources })
}
