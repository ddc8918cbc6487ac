import { isUtf8 } from 'node:buffer'
import ignore, { type Ignore } from 'ignore'
import { MemberNames, refuseLinkOut } from '../archive-entries.ts'
import { UserError } from '../user-error.ts'
import type { CodeFile } from './code-file.ts'
import { firstLines } from './first-lines.ts'
import { lfsPointer } from './git-lfs.ts'
import { looksSecret } from './secrets.ts'

/** Looks at a revision's files on their way into the archive, and tells of all that must not be in it at once. */
export class CodeCheck {
  readonly #configuration: string
  readonly #allowed: Ignore
  readonly #names = new MemberNames()
  readonly #unfit = new Set<string>()
  readonly #secrets: string[] = []
  #isConfigured = false

  constructor(configuration: string, includeSecrets: readonly string[]) {
    this.#configuration = configuration
    this.#allowed = ignore({ ignorecase: false }).add([...includeSecrets])
  }

  async *passing(files: AsyncIterable<CodeFile>): AsyncGenerator<CodeFile> {
    for await (const file of files) if (this.#passes(file)) yield file
  }

  #passes(file: CodeFile): boolean {
    if (file.path === this.#configuration) this.#isConfigured = true
    if (looksSecret(file) && !this.#allowed.ignores(file.path)) this.#secrets.push(file.path)
    try {
      refuseUnfit(file)
      this.#names.add(file.path, file.content.length)
      return true
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      this.#unfit.add(error.message)
      return false
    }
  }

  refuse(revision: string): void {
    this.#refuseUnfit(revision)
    if (!this.#isConfigured)
      throw new UserError(
        `${this.#configuration} is not in revision ${revision}, and no target could read it: commit it, and let nothing ignore it.`,
      )
    this.#refuseSecrets()
  }

  #refuseUnfit(revision: string): void {
    if (this.#unfit.size === 0) return
    throw new UserError(
      [
        `revision ${revision} cannot be archived as it is:`,
        ...firstLines([...this.#unfit], 10),
        `Mend that, or leave it out with "exclude" in ${this.#configuration}.`,
      ].join('\n'),
    )
  }

  #refuseSecrets(): void {
    const [first] = this.#secrets
    if (!first) return
    throw new UserError(
      [
        'passwords or private keys would be published with the code:',
        ...firstLines(this.#secrets, 10),
        `Leave them out with "exclude" in ${this.#configuration}; what is none, or is meant to be there, name in "include_secrets" (include_secrets = [${JSON.stringify(`/${first}`)}]).`,
      ].join('\n'),
    )
  }
}

const GIT_CRYPT = Buffer.from('\0GITCRYPT\0')

function refuseUnfit(file: CodeFile): void {
  const { path, kind, content } = file
  if (lfsPointer(file)) throw new UserError(`"${path}" is a pointer of Git LFS, not the file itself`)
  if (content.subarray(0, GIT_CRYPT.length).equals(GIT_CRYPT))
    throw new UserError(`"${path}" is encrypted by git-crypt in the commit`)
  if (kind !== 'symlink') return
  if (!isUtf8(content)) throw new UserError(`"${path}" links to a name that is not UTF-8`)
  refuseLinkOut(path, content.toString('utf8'))
}
