import { ssmError } from './errors.ts'

export interface PageInput {
  MaxResults?: number | undefined
  NextToken?: string | undefined
}

/** One page of a list; the token says where the next one begins. */
export function pageOf<T>(items: readonly T[], { MaxResults, NextToken }: PageInput, most: number) {
  const start = NextToken ? Number(Buffer.from(NextToken, 'base64url').toString()) : 0
  if (!Number.isInteger(start) || start < 0)
    throw ssmError('InvalidNextToken', `"${NextToken}" is no token of ours.`)
  const end = start + (MaxResults ?? most)
  const next = end < items.length ? Buffer.from(String(end)).toString('base64url') : undefined
  return { items: items.slice(start, end), NextToken: next }
}
