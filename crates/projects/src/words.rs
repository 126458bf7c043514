//! The words of a project: how far it is, how much it matters, how it came to be. The database knows the same ones.

crm_kernel::text_enum!(
    /// How far a project is.
    ProjectStatus {
        /// Not begun.
        Planning = "planning",
        /// Under way.
        InProgress = "in_progress",
        /// Stopped for a while.
        OnHold = "on_hold",
        /// Done.
        Completed = "completed",
        /// Given up.
        Cancelled = "cancelled",
    }
);

crm_kernel::text_enum!(
    /// How much it matters that a project is done.
    Priority {
        /// Can wait.
        Low = "low",
        /// As most.
        Medium = "medium",
        /// Before others.
        High = "high",
        /// At once.
        Urgent = "urgent",
    }
);

crm_kernel::text_enum!(
    /// How a project came to be.
    ProjectOrigin {
        /// Somebody made it.
        Direct = "direct",
        /// It was made of a won deal.
        WonDeal = "won_deal",
    }
);
