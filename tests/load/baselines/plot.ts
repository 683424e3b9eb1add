/**
 * `node tests/dist/load/baselines/plot.js`: draws the committed result of the scaling study beside
 * it, as an SVG: attainment against device hours, a panel for each trace and start-up time.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../support/root.ts'
import { drawStudy, type StudyFile } from './svg.ts'

const RESULTS = join(ROOT, 'tests/load/results')
const file: StudyFile = JSON.parse(readFileSync(join(RESULTS, 'scaling-study.json'), 'utf8'))
writeFileSync(join(RESULTS, 'scaling-study.svg'), drawStudy(file))
