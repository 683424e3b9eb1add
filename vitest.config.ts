import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'

// Specs run on the sources: every workspace package offers them under this condition.
const conditions = ['sai-source', 'node', 'import', 'default']
const packages = ['{libs,services,apps}/*/src', 'examples', 'tools']
const roots = [...packages, 'tests']
const specs = (end: string, from: readonly string[] = roots) =>
  from.map((root) => `${root}/**/*.${end}`)
const never = ['**/node_modules/**', '**/dist/**']
/** Endings of specs that are no unit tests. */
const SPECIAL = ['int', 'sim', 'kafka', 's3', 'kafka-e2e', 'containers', 'prometheus']
// Suites that need a broker or an object store run only when their project is named, so that
// `npm test` needs neither.
const named = (project: string): boolean =>
  process.argv.some((word, index, words) =>
    word === '--project' ? words[index + 1] === project : word === `--project=${project}`,
  )
/** Real processes and sockets: a process of its own per file, one file at a time. */
const processes = (name: string, from: readonly string[]): TestProjectInlineConfiguration => ({
  extends: true,
  test: {
    name,
    include: specs('int.spec.ts', from),
    exclude: never,
    pool: 'forks',
    fileParallelism: false,
    // Platforms that a file runs side by side.
    maxConcurrency: 3,
    testTimeout: 120_000,
    hookTimeout: 60_000,
  },
})
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
          testTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          // Simulated worlds, random histories: many seconds of a core, and nothing that waits.
          name: 'sim',
          include: specs('sim.spec.ts'),
          exclude: never,
          pool: 'forks',
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      processes('int', packages),
      processes('e2e', ['tests']),
      ...(named('kafka') ? [kafka] : []),
      ...(named('s3') ? [s3] : []),
      ...(named('kafka-e2e') ? [kafkaE2e] : []),
      ...(named('containers') ? [containers] : []),
      ...(named('prometheus') ? [prometheus] : []),
    ],
  },
})
