// A process that appends as fast as it can and says what was acknowledged; the durability test
// kills it. Arguments: directory, run number.
import { systemTimers } from '@serverless-ai/kernel/system'
import { openSqliteLog } from '../sqlite/open.ts'

const [directory = '', run = ''] = process.argv.slice(2)
const log = await openSqliteLog({ directory, ports: { timers: systemTimers } })

async function appendForEver(lane: number): Promise<never> {
  const address = { topic: 'serverlessai.log.kill.v1', partition: lane % 3 }
  for (let n = 0; ; n += 1) {
    const texts = Array.from({ length: 1 + (n % 4) }, (_, k) => `${run}/${lane}/${n}/${k}`)
    const entries = texts.map((text) => ({
      key: '',
      headers: {},
      value: Buffer.from(text.padEnd(50 + ((n * 37) % 3000))),
    }))
    const { position } = await log.append(address, entries)
    // A last line that is cut off is not counted by the reader.
    process.stdout.write(`${JSON.stringify({ partition: address.partition, position, texts })}\n`)
  }
}

await Promise.all(Array.from({ length: 8 }, (_, lane) => appendForEver(lane)))
