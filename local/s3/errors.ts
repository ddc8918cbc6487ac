import { ServiceError } from '../http/service.ts'

/** S3's errors, by the names and words that its reference gives them. */

export const noSuchBucket = (bucket: string) =>
  new ServiceError(404, 'NoSuchBucket', 'The specified bucket does not exist', { BucketName: bucket })

export const noSuchKey = (key: string) =>
  new ServiceError(404, 'NoSuchKey', 'The specified key does not exist.', { Key: key })

export const noSuchVersion = (key: string, versionId: string) =>
  new ServiceError(404, 'NoSuchVersion', 'The specified version does not exist.', {
    Key: key,
    VersionId: versionId,
  })

export const noSuchUpload = (uploadId: string) =>
  new ServiceError(
    404,
    'NoSuchUpload',
    'The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.',
    { UploadId: uploadId },
  )

export const preconditionFailed = (condition: string) =>
  new ServiceError(
    412,
    'PreconditionFailed',
    'At least one of the pre-conditions you specified did not hold',
    {
      Condition: condition,
    },
  )

export const invalidArgument = (name: string, value: unknown, message: string) =>
  new ServiceError(400, 'InvalidArgument', message, {
    ArgumentName: name,
    ArgumentValue: String(value),
  })

export const invalidRequest = (message: string) => new ServiceError(400, 'InvalidRequest', message)

export const malformedXml = (cause = '') =>
  new ServiceError(
    400,
    'MalformedXML',
    `The XML you provided was not well-formed or did not validate against our published schema${cause && `: ${cause}`}`,
  )

export const notImplemented = (header: string) =>
  new ServiceError(
    501,
    'NotImplemented',
    `A header you provided implies functionality that is not implemented: ${header}`,
    { Header: header },
  )
