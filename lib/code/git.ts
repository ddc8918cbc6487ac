import { runVcs } from './run-vcs.ts'

/** Runs git in a folder, which settings of another repository (a hook's GIT_DIR) must not redirect. */
export function git(folder: string, args: readonly string[], input?: string): Promise<Buffer> {
  return runVcs('git', args, { folder, env: { ...NO_REDIRECTIONS, LC_ALL: 'C' }, input })
}

const NO_REDIRECTIONS = {
  GIT_DIR: undefined,
  GIT_WORK_TREE: undefined,
  GIT_INDEX_FILE: undefined,
  GIT_OBJECT_DIRECTORY: undefined,
  GIT_PREFIX: undefined,
  GIT_NAMESPACE: undefined,
}
