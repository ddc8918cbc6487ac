import type { ReleaseDigests } from './release.ts'

/** What a target is told to do; also the allowed values of the document's `action`. */
export const ACTIONS = [
  'prepare',
  'migrate',
  'activate',
  'check',
  'revert',
  'catch-up',
  'status',
  'prune',
] as const
export type Action = (typeof ACTIONS)[number]

/** The document's parameters: ids, digests and tokens only, each with a strict pattern (RE2 and Java). */
export const PARAMETERS = {
  action: { pattern: `^(${ACTIONS.join('|')})$`, default: 'status' },
  release: { pattern: '^([0-9a-f]{12})?$', default: '' },
  bundle: { pattern: '^([0-9a-f]{64})?$', default: '' },
  code: { pattern: '^([0-9a-f]{64})?$', default: '' },
  token: { pattern: '^[0-9]{1,12}$', default: '0' },
  rollout: { pattern: '^([0-9]{8}t[0-9]{6}z-[0-9a-f]{8})?$', default: '' },
} as const

export interface Command {
  action: Action
  release: string
  digests: ReleaseDigests
  /** Fencing token: a target refuses one older than it has seen. */
  token: number
  rollout: string
}

/** As SendCommand takes them. */
export function commandParameters(command: Command): Record<string, string[]> {
  return {
    action: [command.action],
    release: [command.release],
    bundle: [command.digests.bundle],
    code: [command.digests.code],
    token: [String(command.token)],
    rollout: [command.rollout],
  }
}
