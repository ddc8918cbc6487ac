import { sha256 } from '../release/digest.ts'
import { UserError } from '../user-error.ts'
import type { CodeFile } from './code-file.ts'
import { git } from './git.ts'
import { VcsError } from './run-vcs.ts'

/** The file itself, where git has only a pointer to it; git-lfs fetches what is not here yet. */
export async function fromLfs(folder: string, file: CodeFile): Promise<CodeFile> {
  const digest = lfsPointer(file)
  if (!digest) return file
  const content = await git(folder, ['lfs', 'smudge', '--', file.path], file.content).catch((error) => {
    if (!(error instanceof VcsError)) throw error
    throw absent(file, error)
  })
  // With GIT_LFS_SKIP_SMUDGE, it is the pointer again.
  if (sha256(content) !== digest) throw absent(file)
  return { ...file, content }
}

/** The sha256 of what it points to. */
export function lfsPointer({ kind, content }: CodeFile): string | undefined {
  if (kind === 'symlink' || content.length > 1024) return undefined
  return content.toString('latin1').match(POINTER)?.[1]
}

/** https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md */
const POINTER =
  /^version https:\/\/git-lfs\.github\.com\/spec\/v1\n(?:ext-.*\n)*oid sha256:([0-9a-f]{64})\nsize \d+\n$/

function absent({ path }: CodeFile, cause?: VcsError): UserError {
  const why = cause?.said.split('\n')[0]
  return new UserError(
    `the content of "${path}" is in Git LFS, and not here${why ? ` (${why})` : ''}: git lfs pull, or name it in "exclude".`,
    { cause },
  )
}
