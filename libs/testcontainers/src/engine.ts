import { getContainerRuntimeClient, ImageName } from 'testcontainers'

/** No container engine answers. The message says what was tried and what else there is. */
export class EngineMissingError extends Error {
  override readonly name = 'EngineMissingError'
}

/** The engine neither has the image nor can pull it. The message says how to make it. */
export class ImageMissingError extends Error {
  override readonly name = 'ImageMissingError'
}

const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)

/**
 * Why no container can be started here, in one line; undefined when one can. For suites that choose
 * between the container and the platform in their own process.
 */
export async function engineProblem(): Promise<string | undefined> {
  try {
    await getContainerRuntimeClient()
    return undefined
  } catch (error) {
    return `no container engine answers: ${reasonOf(error)}`
  }
}

/**
 * Runs a start; turns its failure into one that names the mend.
 * @throws EngineMissingError, ImageMissingError
 */
export async function withEngine<T>(
  { image, mend }: { readonly image: string; readonly mend: string },
  start: () => Promise<T>,
): Promise<T> {
  const problem = await engineProblem()
  if (problem !== undefined) {
    const elsewhere = 'start one, or use ServerlessAiTwin of @serverless-ai/testcontainers/twin'
    throw new EngineMissingError(`${problem}; ${elsewhere}`)
  }
  const engine = await getContainerRuntimeClient()
  const name = ImageName.fromString(image)
  if (!(await engine.image.exists(name))) {
    try {
      await engine.image.pull(name)
    } catch (error) {
      const what = `the engine has no image ${image} and cannot pull it (${reasonOf(error)})`
      throw new ImageMissingError(`${what}: ${mend}`)
    }
  }
  return start()
}
