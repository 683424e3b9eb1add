/** A cell told by hand: a correct story of whole lives, into which specs put a mistake. */
import { Cell, type Gen, type Ranks } from './cell.ts'

/** Generation `generation` of the only gang of `jobId`. */
export const gen = (generation: number, jobId = 'j1'): Gen => ({ jobId, gang: 0, generation })

/** Tells lives of jobs. */
export class Story extends Cell {
  /** A cell with a queue of 8 devices and three nodes of 4. */
  static calm(): Story {
    const story = new Story()
    story.queue('q', 8)
    for (const node of ['n1', 'n2', 'n3']) story.node(node)
    return story
  }

  /** A generation of two ranks is placed on n1 and started. */
  run(
    of: Gen,
    ranks: Ranks = [
      ['n1', 0],
      ['n1', 1],
    ],
  ): void {
    this.place(of, ranks)
    this.state(of.jobId, 'Admitted', of.generation)
    this.launch(of)
    for (const rank of ranks.keys()) this.start(of, rank)
    this.state(of.jobId, 'Running', of.generation)
  }

  /** All its tasks end well, and the job with them. */
  succeed(of: Gen): void {
    const ranks = this.ranksOf(of)
    for (const rank of ranks.keys()) {
      this.end({ ...of, rank })
      this.told('TaskExited', of, rank)
    }
    this.release(of)
    this.state(of.jobId, 'Succeeded', of.generation)
    this.free(of)
  }

  /** A task fails, and fault tolerance has the scheduler go on with the next generation. */
  fail(of: Gen): void {
    const ranks = this.ranksOf(of)
    for (const rank of ranks.keys()) this.end({ ...of, rank })
    this.told('TaskExited', of, 0)
    this.incident(of, '')
    this.incident(of, 'RECOVER')
    this.release(of, 'RECOVER')
    this.free(of)
  }
}
