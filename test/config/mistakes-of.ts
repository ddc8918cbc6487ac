import { UserError } from '../../lib/user-error.ts'

/** The lines that the user is shown; fails when nothing is refused. */
export function mistakesOf(read: () => unknown): string[] {
  try {
    read()
  } catch (error) {
    if (error instanceof UserError) return error.message.split('\n')
    throw error
  }
  throw new Error('nothing was refused')
}
