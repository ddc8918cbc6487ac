import { execa } from 'execa'
import { temporaryFolder } from '../bundle/temporary-folder.ts'
import { writeFiles } from './files.ts'

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

  write(files: Record<string, string>): void {
    writeFiles(this.folder, files)
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
