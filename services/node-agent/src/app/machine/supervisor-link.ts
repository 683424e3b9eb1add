import { isToAgent, type ToAgent, type ToSupervisor } from '../ipc.ts'

/** The agent's side of the IPC channel to its supervisor. */
export interface SupervisorLink {
  send(message: ToSupervisor): void
}

/**
 * Opens the channel of this process. Without a supervisor an agent has nothing to do.
 *
 * @param onClosed the supervisor is gone: the agent must end
 */
export function openSupervisorLink(
  onMessage: (message: ToAgent) => void,
  onClosed: () => void,
): SupervisorLink {
  process.on('message', (message: unknown) => {
    if (isToAgent(message)) onMessage(message)
  })
  process.on('disconnect', onClosed)
  return {
    send(message) {
      // The callback takes the error of a channel that closes at this moment.
      if (process.connected) process.send?.(message, () => undefined)
    },
  }
}
