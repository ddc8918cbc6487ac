import { posix } from 'node:path'
import { isPlatformName, PLATFORM_NAMES, THIS_MACHINE } from '../bundle/platform.ts'
import { isName, NAME_RULE } from '../release/names.ts'
import type { AppTable } from './app.ts'
import { closestTo } from './closest.ts'
import { noPublicKeys } from './public-keys.ts'
import { type Rule, rule as ruleFor } from './table.ts'

const rule = ruleFor<AppTable>()

const platformIsKnown = rule(['platform'], ({ platform }) => {
  if (isPlatformName(platform)) return []
  const closest = closestTo(platform, PLATFORM_NAMES)
  const hint = closest
    ? `did you mean "${closest}"?`
    : `known: ${PLATFORM_NAMES.join(', ')}, and what "pybundle probe" tells`
  return [{ key: ['platform'], what: `"${platform}" is not a platform; ${hint}` }]
})

const presetHasAPython = rule(['platform', 'python'], ({ platform, python }) =>
  platform === THIS_MACHINE || !isPlatformName(platform) || python
    ? []
    : [{ key: ['python'], what: 'is missing; must be the Python version on the targets, such as "3.11"' }],
)

const requirementsStayInside = rule(['requirements'], ({ requirements }) =>
  leavesTheFolder(requirements) ? [{ key: ['requirements'], what: INSIDE }] : [],
)

const groupsAreOfAFile = rule(['requirements', 'groups'], ({ requirements, groups }) =>
  groups.length === 0 || /\.(toml|lock)$/.test(requirements)
    ? []
    : [{ key: ['groups'], what: `"${requirements}" has none; pyproject.toml, uv.lock and pylock.toml have` }],
)

const sharedPathsStayInside = rule(['shared_paths'], ({ shared_paths }) =>
  shared_paths.flatMap((path, index) =>
    leavesTheFolder(path) ? [{ key: ['shared_paths', index], what: INSIDE }] : [],
  ),
)

const INSIDE = "must be a path inside the app's folder"

function leavesTheFolder(path: string): boolean {
  return posix.isAbsolute(path) || posix.normalize(path).split('/').includes('..')
}

const checkHasAMigration = rule(
  ['migrate_command', 'migrate_check_command'],
  ({ migrate_command, migrate_check_command }) =>
    migrate_check_command && !migrate_command
      ? [{ key: ['migrate_check_command'], what: 'has no "migrate_command" whose need it could tell' }]
      : [],
)

const hooksHaveAMigration = rule(['migrate_command', 'hooks'], ({ migrate_command, hooks }) =>
  (['before_migrate', 'after_migrate'] as const)
    .filter((hook) => hooks[hook] && !migrate_command)
    .map((hook) => ({ key: ['hooks', hook], what: 'has no "migrate_command" around which it could run' })),
)

const environmentsAreNames = rule(['environments'], ({ environments }) =>
  Object.keys(environments)
    .filter((environment) => !isName(environment))
    .map((environment) => ({
      key: ['environments', environment],
      what: `"${environment}" is not a name: ${NAME_RULE}`,
    })),
)

const signersAreKeys = rule(['environments'], ({ environments }) =>
  Object.entries(environments).flatMap(([name, { signers }]) =>
    noPublicKeys(signers).map(({ index, what }) => ({ key: ['environments', name, 'signers', index], what })),
  ),
)

export const APP_RULES: readonly Rule<AppTable>[] = [
  platformIsKnown,
  presetHasAPython,
  requirementsStayInside,
  groupsAreOfAFile,
  sharedPathsStayInside,
  checkHasAMigration,
  hooksHaveAMigration,
  environmentsAreNames,
  signersAreKeys,
]
