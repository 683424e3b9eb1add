// Global setup of the vitest project `s3`: one store for all of its specs.
import type {} from '@serverless-ai/eventlog/testing/s3'
import type { TestProject } from 'vitest/node'
import { NoStoreError, startS3Store } from './s3-moto.ts'

/** Starts the store, tells the specs of it, and returns what stops it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  try {
    const store = await startS3Store()
    project.provide('s3Endpoint', store.endpoint)
    console.log(`S3 store: ${store.from}`)
    return () => store.stop()
  } catch (error) {
    // With CI set a missing store is a failure; elsewhere the suite says what it leaves out.
    if (!(error instanceof NoStoreError) || process.env['CI']) throw error
    console.log(`left out: ${error.message}`)
    project.provide('s3Endpoint', '')
    return async () => undefined
  }
}
