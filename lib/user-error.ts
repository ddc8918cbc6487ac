/** Something the user can mend: shown as its message alone, without a stack. Anything else thrown is a bug. */
export class UserError extends Error {
  override name = 'UserError'
}
