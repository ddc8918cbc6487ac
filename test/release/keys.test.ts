import { describe, expect, it } from 'vitest'
import { bundleKey, codeKey, parseUploadKey, requestKey } from '../../lib/release/keys.ts'

const scope = { environment: 'staging', app: 'guestbook' }

describe('parseUploadKey', () => {
  it.each([
    [bundleKey(scope, 'b1'), 'bundle', 'b1'],
    [codeKey(scope, 'c1'), 'code', 'c1'],
    ['staging/guestbook/code/c1.zip', 'code', 'c1'],
    [requestKey(scope, 'r1'), 'request', 'r1'],
  ])('reads %s', (key, kind, name) => {
    expect(parseUploadKey(key)).toEqual({ ...scope, kind, name })
  })

  it.each([
    'staging/guestbook/releases/r1.json',
    'staging/guestbook/state.json',
    'staging/guestbook/code/deeper/c1.zip',
    'staging/guestbook/code/.zip',
    'Staging/guestbook/code/c1.zip',
    'staging/guestbook/bundles/c1.zip',
    'readme.zip',
  ])('passes over %s', (key) => {
    expect(parseUploadKey(key)).toBeUndefined()
  })
})
