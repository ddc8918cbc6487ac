import { ServiceError } from '../http/service.ts'

/** SSM's own errors, under the names that the SDK knows. */
export function ssmError(code: string, message: string): ServiceError {
  return new ServiceError(400, code, message)
}

export function validationError(message: string): ServiceError {
  return ssmError('ValidationException', `1 validation error detected: ${message}`)
}
