/** Exit status of the unpacking process for an {@link ArchiveError}. */
export const EXIT_BAD_ARCHIVE = 65

/** The archive cannot be unpacked, here or anywhere: its writer is to mend it. */
export class ArchiveError extends Error {
  override readonly name = 'ArchiveError'
}
