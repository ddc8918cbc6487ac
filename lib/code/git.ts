import { runVcs } from './run-vcs.ts'

/** Runs git in a folder, which settings of another repository (a hook's GIT_DIR) must not redirect. */
export function git(folder: string, args: readonly string[], input?: string | Buffer): Promise<Buffer> {
  const env = { ...NO_REDIRECTIONS, GIT_OPTIONAL_LOCKS: '0', LC_ALL: 'C' }
  return runVcs('git', args, { folder, env, input })
}

const NO_REDIRECTIONS = {
  GIT_DIR: undefined,
  GIT_COMMON_DIR: undefined,
  GIT_WORK_TREE: undefined,
  GIT_INDEX_FILE: undefined,
  GIT_OBJECT_DIRECTORY: undefined,
  GIT_PREFIX: undefined,
  GIT_NAMESPACE: undefined,
}
