import type { PrepareProblem } from '../ipc.ts'

/** Where the workspaces of tasks come from. */
export interface WorkspaceSource {
  /**
   * Puts a workspace (`sha256:…`) into a directory.
   *
   * @param uid owner of what is put there; null = the agent's own user
   * @returns what went wrong and whose fault it is, nothing when it is in place
   */
  prepare(
    workspace: string,
    directory: string,
    uid: number | null,
  ): Promise<PrepareProblem | undefined>
}
