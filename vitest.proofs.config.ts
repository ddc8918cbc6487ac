import { defineConfig } from 'vitest/config'

/** What `npm test` samples, at length; the seed is printed either way. */
export default defineConfig({
  test: {
    include: ['test/target/killed.test.ts'],
    env: { PYBUNDLE_KILLS: '60' },
    testTimeout: 900_000,
    hookTimeout: 60_000,
    pool: 'forks',
  },
})
