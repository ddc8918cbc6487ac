import { runVcs } from './run-vcs.ts'

/** Runs Mercurial as programs are to run it: no aliases, colours or translations of the user's. */
export function hg(folder: string, args: readonly string[]): Promise<Buffer> {
  return runVcs('hg', args, { folder, env: { HGPLAIN: '1', HGENCODING: 'utf-8', LC_ALL: 'C' } })
}
