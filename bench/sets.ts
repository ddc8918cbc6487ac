import type { LocalRepositories } from './local-repositories.ts'

/** Dependencies as real apps have them. */
export interface DependencySet {
  name: string
  requirements: string[]
  /** Python that works where they are installed, and only there. */
  proof: string
}

export interface BenchPlatform {
  /** What is unlike the laptop. */
  difference: string
  name: string
  python: string
}

export const PLATFORMS: readonly BenchPlatform[] = [
  { difference: 'other CPU', name: 'amazon-linux-2023-arm64', python: '3.11' },
  { difference: 'older glibc', name: 'glibc-2.28-x86_64', python: '3.11' },
  { difference: 'newer Python', name: 'debian-12-x86_64', python: '3.13' },
  { difference: 'older Python', name: 'amazon-linux-2023-x86_64', python: '3.9' },
]

export function dependencySets({ git, hg }: LocalRepositories): DependencySet[] {
  return [
    {
      name: 'Django + gunicorn + psycopg[binary] + celery[redis]',
      requirements: ['Django', 'gunicorn', 'psycopg[binary]', 'celery[redis]'],
      proof:
        'import celery, django, gunicorn.app.wsgiapp, psycopg, redis; assert psycopg.pq.__impl__ == "binary"',
    },
    {
      name: 'FastAPI + uvicorn[standard] + SQLAlchemy + pydantic',
      requirements: ['fastapi', 'uvicorn[standard]', 'SQLAlchemy', 'pydantic'],
      proof: `import fastapi, httptools, pydantic, sqlalchemy, uvicorn, uvloop, watchfiles, websockets
assert sqlalchemy.create_engine("sqlite://").connect().scalar(sqlalchemy.text("select 42")) == 42`,
    },
    {
      name: 'numpy + pandas + scipy',
      requirements: ['numpy', 'pandas', 'scipy'],
      proof: `import numpy, pandas, scipy.linalg
assert scipy.linalg.det(numpy.eye(3)) == pandas.Series([0.5, 0.5]).sum() == 1`,
    },
    {
      name: 'Flask, with itsdangerous from git and blinker from hg',
      requirements: ['Flask', `itsdangerous @ ${git}`, `blinker @ ${hg}`],
      proof: 'import blinker, flask, itsdangerous; flask.Flask("app").test_client()',
    },
    {
      name: 'docopt (only an sdist, pure Python)',
      requirements: ['docopt'],
      proof: 'import docopt; assert docopt.docopt("usage: x [-v]", ["-v"])["-v"]',
    },
    {
      name: 'crcmod (only an sdist, with a C extension)',
      requirements: ['crcmod'],
      proof: `import crcmod._crcfunext, crcmod.predefined
assert crcmod.predefined.mkCrcFun("crc-32")(b"123456789") == 0xcbf43926`,
    },
  ]
}
