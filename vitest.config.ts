import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'

// Specs run on the sources: every workspace package offers them under this condition.
const conditions = ['sai-source', 'node', 'import', 'default']
const roots = ['{libs,services,apps}/*/src', 'tests', 'examples', 'tools']
const specs = (end: string) => roots.map((root) => `${root}/**/*.${end}`)
const never = ['**/node_modules/**', '**/dist/**']
/** Endings of specs that are no unit tests. */
const SPECIAL = ['int', 'kafka', 's3', 'kafka-e2e', 'containers', 'prometheus']
// Suites that need a broker or an object store run only when their project is named, so that
// `npm test` needs neither.
const named = (project: string): boolean =>
  process.argv.some((word, index, words) =>
    word === '--project' ? words[index + 1] === project : word === `--project=${project}`,
  )
const kafka: TestProjectInlineConfiguration = {
  extends: true,
  test: {
    name: 'kafka',
    include: specs('kafka.spec.ts'),
    exclude: never,
    globalSetup: ['tests/support/kafka-setup.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 60_000,
  },
}
const s3: TestProjectInlineConfiguration = {
  extends: true,
  test: {
    name: 's3',
    include: specs('s3.spec.ts'),
    exclude: never,
    globalSetup: ['tests/support/s3-setup.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
}
// The suites of the built platform again, on Kafka: each replica of each service is a process.
const kafkaE2e: TestProjectInlineConfiguration = {
  extends: true,
  test: {
    name: 'kafka-e2e',
    include: [
      'tests/e2e/*.int.spec.ts',
      'tests/e2e/*.kafka-e2e.spec.ts',
      'tests/crash/*.int.spec.ts',
    ],
    exclude: never,
    globalSetup: ['tests/support/kafka-e2e-setup.ts'],
    pool: 'forks',
    fileParallelism: false,
    maxConcurrency: 1,
    testTimeout: 400_000,
    hookTimeout: 200_000,
  },
}
// Suites that need a container engine with the images of `node tools/images.ts`.
const containers: TestProjectInlineConfiguration = {
  extends: true,
  test: {
    name: 'containers',
    include: specs('containers.spec.ts'),
    exclude: never,
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 240_000,
    hookTimeout: 240_000,
  },
}
// Asks a real Prometheus every query of the dashboards.
const prometheus: TestProjectInlineConfiguration = {
  extends: true,
  test: {
    name: 'prometheus',
    include: specs('prometheus.spec.ts'),
    exclude: never,
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
}

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    coverage: {
      provider: 'v8',
      include: ['{libs,services,apps}/*/src/**/*.ts'],
      exclude: ['**/*.spec.ts', '**/gen/**'],
    },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: specs('spec.ts'),
          exclude: [...never, ...SPECIAL.map((end) => `**/*.${end}.spec.ts`)],
          pool: 'threads',
          isolate: false,
          testTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: {
          // Real processes and sockets: a process of its own per file, one file at a time.
          name: 'int',
          include: specs('int.spec.ts'),
          exclude: never,
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
      ...(named('kafka') ? [kafka] : []),
      ...(named('s3') ? [s3] : []),
      ...(named('kafka-e2e') ? [kafkaE2e] : []),
      ...(named('containers') ? [containers] : []),
      ...(named('prometheus') ? [prometheus] : []),
    ],
  },
})
