/** `npm test` takes a few, `npm run test:proofs` all; the seed that is printed gives the same ones again. */
const WANTED = process.env.PYBUNDLE_KILLS ?? '3'
const SEED = Number(process.env.PYBUNDLE_SEED ?? (Date.now() % 1_000_000) + 1)

export function sample<T>(all: readonly T[]): T[] {
  if (WANTED === 'all') return [...all]
  console.log(`${WANTED} of ${all.length}: PYBUNDLE_SEED=${SEED}`)
  const random = randomNumbers(SEED)
  const left = [...all]
  return Array.from({ length: Math.min(Number(WANTED), all.length) }, () => {
    const [chosen] = left.splice(Math.floor(random() * left.length), 1)
    return chosen as T
  })
}

/** Park and Miller's. */
function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
}
