//! The operations of S3: copy what is touched, run it in the overlay, note what it changed.

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};

use super::Objects;

fn version(version: Option<&ObjectVersionId>) -> Option<&'static str> {
    version.map(|_| "version")
}

#[async_trait::async_trait]
impl S3 for Objects {
    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        let mut copies = self.copies().await;
        self.copy_bucket(&mut copies, &request.input.bucket).await?;
        self.store.head_bucket(request).await
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        let mut copies = self.copies().await;
        self.copy_bucket(&mut copies, &request.input.bucket).await?;
        self.store.get_bucket_location(request).await
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = &request.input;
        self.whole_only("HeadObject", version(input.version_id.as_ref()))?;
        self.whole_only("HeadObject", input.part_number.map(|_| "part"))?;
        let mut copies = self.copies().await;
        self.know(&mut copies, &input.bucket, &input.key).await?;
        self.store.head_object(request).await
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = &request.input;
        self.whole_only("GetObject", version(input.version_id.as_ref()))?;
        self.whole_only("GetObject", input.part_number.map(|_| "part"))?;
        let mut copies = self.copies().await;
        self.fill(&mut copies, &input.bucket, &input.key).await?;
        self.store.get_object(request).await
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = &request.input;
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let mut copies = self.copies().await;
        self.copy_listing(&mut copies, &input.bucket, prefix)
            .await?;
        self.store.list_objects_v2(request).await
    }

    async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = &request.input;
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let mut copies = self.copies().await;
        self.copy_listing(&mut copies, &input.bucket, prefix)
            .await?;
        self.store.list_objects(request).await
    }

    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
        let mut copies = self.copies().await;
        self.know(&mut copies, &bucket, &key).await?;
        let before = self.store.glance(&bucket, &key)?;
        let answer = self.store.put_object(request).await?;
        self.written(&mut copies, "PutObject", (&bucket, &key), before)?;
        Ok(answer)
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let CopySource::Bucket {
            bucket: from_bucket,
            key: from_key,
            version_id,
        } = &request.input.copy_source
        else {
            return Err(self.refuse("CopyObject", "its source is no bucket"));
        };
        self.whole_only("CopyObject", version_id.as_ref().map(|_| "version"))?;
        let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
        let mut copies = self.copies().await;
        self.fill(&mut copies, from_bucket, from_key).await?;
        self.know(&mut copies, &bucket, &key).await?;
        let before = self.store.glance(&bucket, &key)?;
        let answer = self.store.copy_object(request).await?;
        self.written(&mut copies, "CopyObject", (&bucket, &key), before)?;
        Ok(answer)
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.whole_only("DeleteObject", version(request.input.version_id.as_ref()))?;
        let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
        let mut copies = self.copies().await;
        self.know(&mut copies, &bucket, &key).await?;
        let before = self.store.glance(&bucket, &key)?;
        let answer = self.store.delete_object(request).await?;
        self.deleted("DeleteObject", &bucket, &key, before);
        Ok(answer)
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let bucket = request.input.bucket.clone();
        let mut copies = self.copies().await;
        let mut before = Vec::new();
        for object in &request.input.delete.objects {
            self.whole_only("DeleteObjects", version(object.version_id.as_ref()))?;
            self.know(&mut copies, &bucket, &object.key).await?;
            before.push((object.key.clone(), self.store.glance(&bucket, &object.key)?));
        }
        let answer = self.store.delete_objects(request).await?;
        for (key, before) in before {
            // What a condition kept is still there.
            if self.store.glance(&bucket, &key)?.is_none() {
                self.deleted("DeleteObjects", &bucket, &key, before);
            }
        }
        Ok(answer)
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let mut copies = self.copies().await;
        self.copy_bucket(&mut copies, &request.input.bucket).await?;
        self.store.create_multipart_upload(request).await
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        self.store.upload_part(request).await
    }

    async fn list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        self.store.list_parts(request).await
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
        let mut copies = self.copies().await;
        self.know(&mut copies, &bucket, &key).await?;
        let before = self.store.glance(&bucket, &key)?;
        let answer = self.store.complete_multipart_upload(request).await?;
        self.written(
            &mut copies,
            "CompleteMultipartUpload",
            (&bucket, &key),
            before,
        )?;
        Ok(answer)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.store.abort_multipart_upload(request).await
    }
}
