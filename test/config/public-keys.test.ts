import { expect, it } from 'vitest'
import { noPublicKeys } from '../../lib/config/public-keys.ts'
import { temporaryFolder } from '../bundle/temporary-folder.ts'
import { Signer } from '../signer.ts'

it.each(['ed25519', 'rsa', 'ecdsa'])('a public key of %s is refused unless it is whole', (kind) => {
  const key = new Signer(temporaryFolder(), kind).publicKey
  const [type = '', blob = ''] = key.split(' ')
  expect(noPublicKeys([key, `${type} ${blob}`])).toEqual([])

  const bare = blob.replace(/=+$/, '')
  const cut = [1, 2, 3, 4, 8, 40].map((lost) => `${type} ${bare.slice(0, -lost)}`)
  const broken = [
    ...cut,
    `${type} ${bare.slice(0, 60)}`,
    `${type} ${bare}AAAA`,
    `sk-ssh-ed25519@openssh.com ${blob}`,
  ]
  expect(noPublicKeys(broken).map(({ index }) => index)).toEqual([...broken.keys()])
})
