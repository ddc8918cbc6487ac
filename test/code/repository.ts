import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { execa } from 'execa'
import { temporaryFolder } from '../bundle/temporary-folder.ts'

/** A real repository, with its commits at a fixed time. */
export class Repository {
  readonly folder = temporaryFolder()

  static async with(files: Record<string, string>): Promise<Repository> {
    const repository = new Repository()
    await repository.git('init', '--quiet', '--initial-branch=main')
    repository.write(files)
    await repository.commit()
    return repository
  }

  /** A content "-> target" makes a symlink, one that begins with "#!" a program. */
  write(files: Record<string, string>): void {
    for (const [path, content] of Object.entries(files)) {
      const file = join(this.folder, path)
      mkdirSync(dirname(file), { recursive: true })
      if (content.startsWith('-> ')) symlinkSync(content.slice(3), file)
      else writeFileSync(file, content)
      if (content.startsWith('#!')) chmodSync(file, 0o755)
    }
  }

  async commit(date = '2026-01-02T03:04:05Z'): Promise<string> {
    await this.git('add', '--all')
    const author = ['-c', 'user.name=Test', '-c', 'user.email=test@example.com']
    await this.git(...author, 'commit', '--quiet', '-m', 'x', '--date', date)
    return (await this.git('rev-parse', '--short=12', 'HEAD')).stdout
  }

  git(...args: string[]) {
    return execa('git', args, { cwd: this.folder, env: { GIT_COMMITTER_DATE: '2026-01-02T03:04:05Z' } })
  }
}
