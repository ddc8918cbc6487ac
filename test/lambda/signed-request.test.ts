import { expect, it } from 'vitest'
import { refuseDrop } from '../../lambda/signed-request.ts'

it.each([
  ['shop-1.2+3.tar.gz', 'shop-1.2+3.tar.gz'],
  ['x;$(id).tar.gz', 'FILE'],
  ['--bucket=x.tar.gz', 'FILE'],
  ['`id`.tar.gz', 'FILE'],
])('suggests no command for what was dropped that a shell would read otherwise: %s', (name, file) => {
  const key = `production/shop/code/${name}`
  const upload = { key, kind: 'code', environment: 'production', app: 'shop' } as Parameters<
    typeof refuseDrop
  >[0]
  const command = `pybundle publish-code --environment production --from ${file}`
  expect(() => refuseDrop(upload)).toThrow(
    `"${key}" was dropped by hand, but production takes signed requests only. Sign for the same file: ${command}`,
  )
})
