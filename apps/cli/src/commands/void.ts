import { VoidRecordResponse } from '@serverless-ai/contracts/admin/v1/admin'
import type { Command } from 'commander'
import { type Globals, resolveConnection } from '../context.ts'
import { count, plain } from '../output/text.ts'
import { askEveryone, withService } from './replicas.ts'
import { answer, type CommandScope, wholeNumber, withGlobals } from './shared.ts'

interface VoidOptions extends Globals {
  readonly hash?: string
}

function outcomeText(
  of: { readonly service: string; readonly position: number; readonly hash: string },
  outcome: VoidRecordResponse,
): string {
  const { events, recordHash, atMs, voidPosition, alreadyVoid } = outcome
  const { service, position, hash } = of
  const at = new Date(Number(atMs)).toISOString()
  const lines = [
    `record ${position} of ${service}, ${at}, ${count(events.length, 'event')}:`,
    ...events.map(({ type, data }) => plain(`  ${type} ${data}`)),
  ]
  if (alreadyVoid) lines.push('its events are void already')
  else if (hash !== '') {
    lines.push(
      `its events are void from now on (record ${voidPosition}); ` +
        'a replica that had stopped at it starts again with its process',
    )
  } else {
    lines.push(
      'the log can do without these events. To void them, for good:',
      `  sai admin log void ${service} ${position} --hash ${recordHash}`,
    )
  }
  return `${lines.join('\n')}\n`
}

/** `sai admin log void` */
export function addLog(admin: Command, { io, checkout }: CommandScope): void {
  const log = admin.command('log').description('the logs of the services')
  withGlobals(log.command('void'))
    .description('look at the events of a record, and take them out of the state of everybody')
    .argument('<service>', 'service whose log it is')
    .argument('<position>', 'position of the record', wholeNumber('POSITION', 0, 1e15 - 1))
    .option('--hash <sha256>', 'do it: hash of the record, as the command without it tells')
    .action(async (service: string, position: number, options: VoidOptions) => {
      const connection = resolveConnection({ globals: options, io, checkout, prefer: 'admin' })
      const seen = await askEveryone(io, connection)
      const { hash = '' } = options
      const request = {
        service,
        position: BigInt(position),
        recordHash: hash,
        validateOnly: hash === '',
      }
      const outcome = await withService(io, connection, { seen, service }, (platform) =>
        platform.admin.voidRecord(request),
      )
      answer(io, options, {
        json: VoidRecordResponse.toJSON(outcome),
        text: () => outcomeText({ service, position, hash }, outcome),
      })
    })
}
