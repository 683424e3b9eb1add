// Builds the images without a registry: node tools/images.ts [IMAGE...] [--base IMAGE] [--tag TAG]
// IMAGE: control-plane, agent, kafka, prometheus; without a name the first two. The tag is the
// version of the product, that of the last two `local`.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { kafkaJars } from '../tests/support/kafka-jars.ts'
import { provideBase, provideImage } from './images/base.ts'
import { build, findBuilder, ImageError } from './images/engine.ts'
import { writeProduct } from './images/tree.ts'
import { ROOT } from './lib/paths.ts'

const IMAGES = ['control-plane', 'agent', 'kafka', 'prometheus'] as const
type Image = (typeof IMAGES)[number]

type Options = {
  readonly docker: string
  readonly tag: string
  readonly base: string
}

const FOLDER = join(ROOT, 'infra/images')

/** Runs `work` with a folder that is gone afterwards. */
function withContext<T>(work: (context: string) => T): T {
  const context = mkdtempSync(join(tmpdir(), 'sai-images-'))
  try {
    return work(context)
  } finally {
    rmSync(context, { recursive: true, force: true })
  }
}

const tagOf = (image: Image, tag: string): string => `serverless-ai/${image}:${tag}`

/** The product's own images, from one compiled tree. */
function buildProduct(images: readonly Image[], { docker, tag, base }: Options): void {
  if (images.length === 0) return
  withContext((context) => {
    writeProduct(join(context, 'product'))
    cpSync(FOLDER, join(context, 'infra/images'), { recursive: true })
    const file = join(context, 'infra/images/Dockerfile')
    const args = { BASE: base, PRODUCT: 'prebuilt' }
    for (const image of images) {
      build(docker, { context, file, target: image, tag: tagOf(image, tag), args })
    }
  })
}

/** An image that others' programs are in: it depends on its folder and on what is put there. */
function buildForeign(
  image: 'kafka' | 'prometheus',
  { docker, base }: Options,
  more: { readonly key: string; readonly fill: (context: string) => void },
): void {
  const folder = join(FOLDER, image)
  const texts = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'))
  provideImage(docker, { tag: tagOf(image, 'local'), key: [texts, base, more.key] }, () =>
    withContext((context) => {
      cpSync(folder, context, { recursive: true })
      more.fill(context)
      const file = join(context, 'Dockerfile')
      build(docker, { context, file, tag: tagOf(image, 'local'), args: { BASE: base } })
    }),
  )
}

function brokerJars(): string {
  try {
    return kafkaJars()
  } catch {
    throw new ImageError('the broker comes from Maven; is it installed?')
  }
}

function buildKafka(options: Options): void {
  const key = readFileSync(join(ROOT, 'infra/kafka/pom.xml'), 'utf8')
  const fill = (context: string) => cpSync(brokerJars(), join(context, 'libs'), { recursive: true })
  buildForeign('kafka', options, { key, fill })
}

/** Of the product: the tag of its images. */
function version(): string {
  return JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version
}

function main(): void {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { base: { type: 'string' }, tag: { type: 'string', default: version() } },
  })
  const isImage = (name: string): name is Image => IMAGES.some((image) => image === name)
  const unknown = positionals.find((name) => !isImage(name))
  if (unknown !== undefined) {
    throw new ImageError(`no image ${unknown}; one of: ${IMAGES.join(', ')}`)
  }
  const wanted = positionals.filter(isImage)
  const images: readonly Image[] = wanted.length > 0 ? wanted : ['control-plane', 'agent']
  const docker = findBuilder()
  const options = { docker, base: values.base ?? provideBase(docker), tag: values.tag }
  const isOwn = (image: Image): boolean => image === 'control-plane' || image === 'agent'
  buildProduct(images.filter(isOwn), options)
  if (images.includes('kafka')) buildKafka(options)
  if (images.includes('prometheus')) {
    buildForeign('prometheus', options, { key: '', fill: () => undefined })
  }
  for (const image of images) {
    console.log(tagOf(image, isOwn(image) ? options.tag : 'local'))
  }
}

try {
  main()
} catch (error) {
  if (!(error instanceof ImageError)) throw error
  console.error(error.message)
  process.exitCode = 1
}
