import { execa } from 'execa'
import { temporaryFolder } from '../bundle/temporary-folder.ts'
import { writeFiles } from './files.ts'

/** A real one of Mercurial, with its commits at a fixed time. */
export class HgRepository {
  readonly folder: string

  constructor(folder = temporaryFolder()) {
    this.folder = folder
  }

  static async with(files: Record<string, string>, folder?: string): Promise<HgRepository> {
    const repository = new HgRepository(folder)
    await repository.hg('init')
    repository.write(files)
    await repository.commit()
    return repository
  }

  write(files: Record<string, string>): void {
    writeFiles(this.folder, files)
  }

  /** The first 12 digits of its id. */
  async commit(date = '2026-01-02 03:04:05 +0000'): Promise<string> {
    await this.hg('commit', '--addremove', '--quiet', '--message', 'x', '--date', date)
    return (await this.hg('log', '--rev=.', '--template={node|short}')).stdout
  }

  hg(...args: string[]) {
    return execa('hg', args, { cwd: this.folder, env: { HGPLAIN: '1', HGUSER: 'Somebody' } })
  }
}
