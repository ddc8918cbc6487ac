import type { VcsRecord } from '../build/vcs.ts'
import { withoutCredentials } from '../credentials.ts'

interface Note {
  vcs: VcsRecord['vcs']
  url: RegExp
  revision: RegExp
}

/**
 * What pip wrote in place of `.git`, `.hg`, `.svn` and `.bzr`. Its own readers asked for something else (git: a "-q" that
 * no writer wrote; svn: a line that began with "-r") and lost the address.
 */
const NOTES: Record<string, Note> = {
  'git-clone.txt': {
    vcs: 'git',
    url: /^git remote add origin (\S+) -f$/m,
    revision: /^git checkout (\S+)$/m,
  },
  'hg-clone.txt': { vcs: 'hg', url: /^hg pull (\S+)$/m, revision: /^hg update -r (\S+)$/m },
  'svn-checkout.txt': {
    vcs: 'svn',
    url: /^svn checkout .*?(\S+) \.$/m,
    revision: /^svn checkout .*-r (\S+)/m,
  },
  'bzr-branch.txt': { vcs: 'bzr', url: /^bzr branch .*?(\S+) \.$/m, revision: /^bzr branch .*-r (\S+)/m },
}

export const NOTE_NAMES: readonly string[] = Object.keys(NOTES)

/** Where an editable of a legacy bundle was checked out from; undefined for a note that says nothing. */
export function parseNote(name: string, text: string): VcsRecord | undefined {
  const note = NOTES[name]
  const url = note && text.match(note.url)?.[1]
  if (!url) return undefined
  return { vcs: note.vcs, url: withoutCredentials(url), revision: text.match(note.revision)?.[1] ?? '' }
}
