import { defineConfig } from 'vitest/config'

// Specs run on the sources: every workspace package offers them under this condition.
const conditions = ['sai-source', 'node', 'import', 'module', 'default']
const roots = ['{libs,services,apps}/*/src', 'tests', 'examples', 'tools']
const specs = (end: string) => roots.map((root) => `${root}/**/*.${end}`)
const never = ['**/node_modules/**', '**/dist/**']

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
          exclude: [...never, '**/*.int.spec.ts'],
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
    ],
  },
})
