import { execa } from 'execa'
import { temporaryFolder } from '../bundle/temporary-folder.ts'
import { writeFiles } from './files.ts'

/** A real repository, with its commits at a fixed time. */
export class Repository {
  static readonly LOCAL = ['-c', 'protocol.file.allow=always']

  readonly folder = temporaryFolder()

  static async with(files: Record<string, string>): Promise<Repository> {
    const repository = new Repository()
    await repository.git('init', '--quiet', '--initial-branch=main')
    repository.write(files)
    await repository.commit()
    return repository
  }

  write(files: Record<string, string>): void {
    writeFiles(this.folder, files)
  }

  async commit(date = '2026-01-02T03:04:05Z'): Promise<string> {
    await this.git('add', '--all')
    const author = ['-c', 'user.name=Test', '-c', 'user.email=test@example.com']
    await this.git(...author, 'commit', '--quiet', '-m', 'x', '--date', date)
    return (await this.git('rev-parse', '--short=12', 'HEAD')).stdout
  }

  /** Commits without files, so many that the beginnings of some are the same. */
  async addHistory(count: number): Promise<void> {
    const commits = Array.from(
      { length: count },
      (_, index) => `commit refs/heads/history\ncommitter Test <test@example.com> ${index} +0000\ndata 0\n`,
    )
    await execa('git', ['fast-import', '--quiet'], { cwd: this.folder, input: commits.join('\n') })
  }

  async addSubmodule(library: Repository, path: string): Promise<void> {
    await this.git(...Repository.LOCAL, 'submodule', '--quiet', 'add', library.folder, path)
    await this.commit()
  }

  async clone(...options: string[]): Promise<Repository> {
    const copy = new Repository()
    await copy.git('clone', '--quiet', ...options, `file://${this.folder}`, '.')
    return copy
  }

  git(...args: string[]) {
    return execa('git', args, { cwd: this.folder, env: { GIT_COMMITTER_DATE: '2026-01-02T03:04:05Z' } })
  }
}
