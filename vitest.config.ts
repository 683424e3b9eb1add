import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'

// Specs run on the sources: every workspace package offers them under this condition.
const conditions = ['sai-source', 'node', 'import', 'module', 'default']
const roots = ['{libs,services,apps}/*/src', 'tests', 'examples', 'tools']
const specs = (end: string) => roots.map((root) => `${root}/**/*.${end}`)
const never = ['**/node_modules/**', '**/dist/**']
// Suites that need a broker run only when their project is named, so that `npm test` needs none.
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
          exclude: [...never, '**/*.int.spec.ts', '**/*.kafka.spec.ts'],
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
    ],
  },
})
