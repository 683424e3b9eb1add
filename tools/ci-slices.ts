// The heavier suites that `.ci/run` adds to `npm test`. Each slice is a command that prints
// `N passed, N failed` as its last line; the sums are printed at the end.
import { runSlices, type Slice } from './lib/slices.ts'

const slices: readonly Slice[] = []

process.exitCode = await runSlices(slices)
